"""Model folders, and the output folders of training runs, which contain model folders."""
