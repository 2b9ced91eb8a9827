"""Model folders, and the output folders of training runs that contain them."""
