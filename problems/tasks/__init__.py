"""What is compressed, and by what is it judged? Tasks, metrics, training."""
