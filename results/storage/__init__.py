"""What is kept? Records, the store they are kept in, and files of them."""
