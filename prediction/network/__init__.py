"""All of HTTP that knows no route: connections, proxies, origins, request ids, errors as answers."""
