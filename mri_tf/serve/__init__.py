"""A server that speaks TF Serving's REST and gRPC protocol: models from a folder, versions, batching.

`models` watches the folder and holds the versions, `versions` loads one, `inference` answers a
request, `rest` and `rpc` are the two interfaces. Needs the extra `serve`.
"""


