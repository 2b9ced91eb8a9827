"""Training on a text without a configuration: the settings are chosen by the text, and written as a recipe in YAML."""
