"""How is it shown? Stores as HTML pages."""
