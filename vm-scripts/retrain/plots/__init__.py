"""Pictures for people, drawn with Pillow: how training went, where the model errs, its worst
answers."""
