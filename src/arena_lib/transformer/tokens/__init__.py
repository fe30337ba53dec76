"""From text to token ids: byte-pair encoding in plain and in fast form, and the tokenizer around it."""
