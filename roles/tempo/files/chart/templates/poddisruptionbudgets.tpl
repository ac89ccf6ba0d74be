{{- /* One pod of a component at a time: an ingester more than that would cost writes their quorum. */}}
{{- range $component := include "tempo.components" . | fromJsonArray }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "tempo.componentName" (dict "root" $ "component" $component) }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "tempo.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "tempo.selector" $ | nindent 6 }}
      app.kubernetes.io/component: {{ $component }}
{{- end }}
