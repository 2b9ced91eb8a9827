"""The network: a recurrent encoder and an attention decoder. It returns readouts and knows no loss."""
