"""The public door. `faultline.check` judges a recorded history, `faultline.run` makes and judges a run."""
