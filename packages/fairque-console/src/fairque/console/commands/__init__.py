"""The commands of ``fairque``, a module each, which is imported when its command is called."""
