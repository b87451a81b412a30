"""A model server with TensorFlow Serving's REST and gRPC protocol: versions, labels, batching.

`models` watches the folder and holds the versions, `loaded_version` loads one, `inference` answers a
request, `rest` and `rpc` are the two interfaces. Needs the extra `serve`.
"""
