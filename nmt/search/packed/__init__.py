"""A trained network packed for translating on a CPU, in int8, bfloat16 or float32."""
