"""Text in and text out: tokens of texts, what a call on text gives, and writing."""
