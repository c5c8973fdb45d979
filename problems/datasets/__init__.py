"""Where does the data come from? Data sets by name, their files and their readers."""
