"""What is taught: chapters read as text, the catalog of exercises, stubs, notebooks and solutions."""
