# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the connection options that every module with a cluster shares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, or the content of one as a dictionary or as text (YAML or JSON).
      - Results and logs never show the content. Tokens, passwords, private keys and client secrets in it are masked
        wherever else they appear, if they have six characters or more.
      - O(kubeconfig), O(context), O(host) and O(api_key) choose the cluster and the user. If a task, or its
        C(module_defaults), sets one of them, environment variables are ignored. If it sets none, each of the six
        connection options falls back to its variable. An empty option or variable counts as not set.
      - Errors name the variables that chose the cluster.
      - Defaults to E(KUBECONFIG), then C(~/.kube/config), then the service account of the pod that the module runs in.
      - Falls back to E(K8S_AUTH_KUBECONFIG), under this rule.
    type: raw
  context:
    description:
      - Context of the kubeconfig. Defaults to its current context.
      - Falls back to E(K8S_AUTH_CONTEXT), under the rule of O(kubeconfig).
    type: str
  host:
    description:
      - URL of the API server, instead of a kubeconfig.
      - Proxy variables of the environment are ignored for an API server at a loopback address.
      - Falls back to E(K8S_AUTH_HOST), under the rule of O(kubeconfig).
    type: str
  api_key:
    description:
      - Bearer token for O(host), which it requires.
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
      - Whether to verify the certificate of the API server. Defaults to what the kubeconfig sets, else V(true).
      - Falls back to E(K8S_AUTH_VERIFY_SSL), under the rule of O(kubeconfig).
    type: bool
    aliases: [verify_ssl]
requirements:
  - kubernetes (Python package)
"""
