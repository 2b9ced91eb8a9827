"""Packed networks: copies of trained networks optimized for inference on a CPU, in int8, bfloat16 or float32."""
