"""Networks, one family a file. A task names a network; its builder is found by `registry`.

Builders see shapes and numbers, never a Task. Their last layer gives probabilities in float32.
"""
