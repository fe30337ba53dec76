"""Many learners' files judged in one call, and the reports on them."""
