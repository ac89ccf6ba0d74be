# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the connection options that every module with a cluster shares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, or its content as a dictionary.
      - O(kubeconfig), O(context), O(host) and O(api_key) choose the cluster and who asks. Where a task, or its
        C(module_defaults), gives one of them, no environment variable counts. Where none is given, each of the six
        connection options falls back to its variable. An empty option or variable is none.
      - Errors name the variables that led to a cluster.
      - Without it and without O(host), the default kubeconfig is used (E(KUBECONFIG), or C(~/.kube/config)), or the
        service account of the pod that the module runs in.
      - Falls back to E(K8S_AUTH_KUBECONFIG), under this rule.
    type: raw
  context:
    description:
      - Context of the kubeconfig. Its current context by default.
      - Falls back to E(K8S_AUTH_CONTEXT), under the rule of O(kubeconfig).
    type: str
  host:
    description:
      - URL of the API server, instead of a kubeconfig.
      - Proxies of the environment are not used for an API server at a loopback address.
      - Falls back to E(K8S_AUTH_HOST), under the rule of O(kubeconfig).
    type: str
  api_key:
    description:
      - Bearer token for O(host), and an error without it.
      - Falls back to E(K8S_AUTH_API_KEY), under the rule of O(kubeconfig).
    type: str
  ca_cert:
    description:
      - File with the certificate authority of the API server.
      - Falls back to E(K8S_AUTH_SSL_CA_CERT), under the rule of O(kubeconfig).
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether the API server's certificate is checked. It is, unless the kubeconfig says otherwise.
      - Falls back to E(K8S_AUTH_VERIFY_SSL), under the rule of O(kubeconfig).
    type: bool
    aliases: [verify_ssl]
requirements:
  - kubernetes (Python package)
"""
