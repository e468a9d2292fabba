"""What every front end provides (`contract`), and the loop that drives it (`connection`)."""
