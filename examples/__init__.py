"""Things to look at and to run: definitions, a small upstream, the demo."""
