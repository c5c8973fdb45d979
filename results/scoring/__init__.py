"""How is it scored? Scores, ranks, intervals, references."""
