"""Extensions, one module each; `table` lists every request that they answer."""
