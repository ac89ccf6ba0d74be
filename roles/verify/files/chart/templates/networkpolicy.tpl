# Nothing connects to the probe. What it reaches (gateways, the store, DNS) depends on the site, so egress stays open.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: trace-probe
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "trace-probe.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "trace-probe.selector" . | nindent 6 }}
  policyTypes: [Ingress]
