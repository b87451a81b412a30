"""Networks, one family in each file. A task names a network; `registry` finds its builder.

Builders take shapes and numbers, never a Task. Their last layer gives probabilities in float32.
"""
