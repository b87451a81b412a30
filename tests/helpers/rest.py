"""Requests over REST to the models of `serving_models`, and the errors in their answers."""

PREDICT = "/v1/models/many:predict"


def ask(client, body: dict, signature: str = "", path: str = PREDICT):
    """The response to a JSON document, of a signature where one is named."""
    return client.post(path, body | ({"signature_name": signature} if signature else {}))


def error_of(response, status: int = 400) -> str:
    """The message of a response of that status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert list(document) == ["error"]
    return document["error"]
