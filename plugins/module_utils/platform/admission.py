# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The API of Kubernetes that instruments pods when they are made. Pure: no I/O, no Ansible.

Source: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

GROUP = "admissionregistration.k8s.io"
# Those that this collection can write; v1alpha1 is another API.
VERSIONS = ("v1", "v1beta1")
KIND = "MutatingAdmissionPolicy"  # also the name of its feature gate
BINDING_KIND = f"{KIND}Binding"
