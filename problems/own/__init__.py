"""A caller's model and data of any form, as a task."""
