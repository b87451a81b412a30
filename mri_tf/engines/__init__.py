"""Other runtimes for an exported model on a CPU: ONNX Runtime and OpenVINO.

`choose` opens the one that was asked for and compares it with TensorFlow, `runtimes` are the two,
`requests` makes what they are compared on. Need the extras `onnx` and `openvino`.
"""
