"""The China Mobile platform on your desk: a faithful double with keys, limits, checks and faults.

It does what the platform does between the page's SDK and the verdict (guide steps 2 to 15): serves the JS
SDK, fetches the number, issues tokens against a signed preSign from a reported page, and verifies a number
with every check of step 14 in its order. It shares no code with the product.

From a test, in process or on a port::

    simulator = Simulator(Customer("000001", app_key, public_key, origins, referers))
    client = werkzeug.test.Client(simulator)
    with local.server.Server(simulator) as server:
        urllib3.request("GET", server.url + "/simulator/journal")

By hand, on a running local stack::

    curl localhost:8090/simulator/public-key
    curl localhost:8090/simulator/journal                      # all that passed; ?after=ID for what is new
    curl -X DELETE localhost:8090/simulator/journal
    curl -d '{"fault": "resultCode", "resultCode": "130018"}' localhost:8090/simulator/faults
    curl -d '{"fault": "delay", "seconds": 6, "times": 0}' localhost:8090/simulator/faults
    curl -d '{"fault": "unavailable", "on": "sdk"}' localhost:8090/simulator/faults
    curl -X DELETE localhost:8090/simulator/faults             # times 0 = until cleared
    curl -X DELETE localhost:8090/simulator/tokens             # all tokens so far are older than a minute
    curl -X DELETE localhost:8090/simulator/attempts           # all numbers have their day's limit again
    curl localhost:8090/simulator/customer                     # what is entered in the open platform
    curl -d '{"publicKey": "MIIB…"}' localhost:8090/simulator/customer          # a rotation, rehearsed
    curl -d '{"limitRule": "24h"}' localhost:8090/simulator/customer            # 121011 by the other rule

Faults and their parameters are in `local.simulator.faults`, what the phone is made of (SIM, network) in
`local.simulator.fetching` and in the SDK stand-in, `jssdk.js`.
"""

from local.simulator.app import Simulator
from local.simulator.crypto import Algorithm, Encoding, SignatureForm
from local.simulator.customer import Customer

__all__ = ["Algorithm", "Customer", "Encoding", "SignatureForm", "Simulator"]
