# A client of Grid'5000's API as python-grid5000 is one, with the real requests and urllib3: the same session (5 retries of
# 500, 502 and 504; grid5000/__init__.py, _create_session), the same paths and parameters (grid5000/mixins.py: BracketMixin,
# ListMixin), and the same parameters as EnOSlib's service (enoslib/service/kwollect/kwollect.py, get_metrics; its
# available_kwollect_metrics in infra/enos_g5k/g5k_api_utils.py).
#
#   python3 grid5000Client.py URI HEADERS_AS_JSON SITE NODES START END [METRICS]
#
# Prints JSON: what EnOSlib would see, or the error that python-grid5000 would raise.
import json
import sys

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry


class Grid5000Error(Exception):
    pass


class Client:
    def __init__(self, uri, headers):
        self.uri = uri
        self.session = requests.Session()
        self.session.headers.update(headers)
        retry = Retry(total=5, read=5, connect=5, backoff_factor=0.3, status_forcelist=(500, 502, 504))
        self.session.mount("http://", HTTPAdapter(max_retries=retry))

    def get(self, path, **params):
        result = self.session.get(self.uri + path, params=params, timeout=30)
        if 200 <= result.status_code < 300:
            return result.json()
        body = result.json()
        message = next((body[key] for key in ("message", "error") if key in body), result.content)
        raise Grid5000Error(f"{result.status_code}: {message}")

    # ListMixin.list: an array becomes objects; GitLab's heritage allows a collection with items.
    def list(self, path, **params):
        found = self.get(path, **params)
        return found if isinstance(found, list) else found["items"]


def available_metrics(client, site, nodes):
    found = {node: [] for node in nodes}
    for name in sorted({node.split("-")[0] for node in nodes}):
        cluster = client.get(f"/sites/{site}/clusters/{name}")
        for metric in cluster["metrics"]:
            of_cluster = [node for node in nodes if node.split("-")[0] == name]
            if metric["source"]["protocol"] == "prometheus":
                if "id" not in metric["source"]:
                    continue
                for one in metric["source"]["id"]:
                    for node in of_cluster:
                        found[node].append(["prom_" + one, metric["period"], metric["optional_period"]])
                continue
            for node in set(metric.get("only_for", of_cluster)) & set(of_cluster):
                found[node].append([metric["name"], metric["period"], metric["optional_period"]])
    return found


uri, headers, site, nodes, start, end = sys.argv[1:7]
client = Client(uri, json.loads(headers))
try:
    uid = client.get(f"/sites/{site}")["uid"]
    parameters = {"nodes": nodes, "start_time": float(start), "end_time": float(end), "summary": False}
    if len(sys.argv) > 7:
        parameters["metrics"] = sys.argv[7]
    rows = client.list(f"/sites/{uid}/metrics", **parameters)
    print(json.dumps({"uid": uid, "rows": rows, "available": available_metrics(client, site, nodes.split(","))}))
except Grid5000Error as error:
    print(json.dumps({"error": str(error)}))
