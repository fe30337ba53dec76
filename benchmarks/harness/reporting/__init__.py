"""Records for people: merged, as tables in a terminal, in Markdown and in a page, and as plots."""
