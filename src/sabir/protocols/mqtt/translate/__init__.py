"""Chat topics and the core's words: which room a topic stands for, and what is said there."""
