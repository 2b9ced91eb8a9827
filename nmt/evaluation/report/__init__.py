"""The page that `nmt-evaluate --report` writes: figures, drawings of them, and the text around both."""
