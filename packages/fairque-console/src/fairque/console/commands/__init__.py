"""The commands of ``fairque``. Each module is imported only when its command is called."""
