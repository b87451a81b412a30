"""Which patients are trained on, validated on and tested on."""
