"""The network: cells, attention, encoder, decoder and loss."""
