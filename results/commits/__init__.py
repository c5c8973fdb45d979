"""Better or worse than before? Stores and commits compared."""
