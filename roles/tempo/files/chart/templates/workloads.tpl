{{- range $component := include "tempo.components" . | fromJsonArray }}
{{- $spec := index $.Values.components $component }}
{{- range $zone := include "tempo.zones" (dict "root" $ "component" $component) | fromJsonArray }}
{{- $stateful := has $component (include "tempo.stateful" $ | fromJsonArray) }}
---
apiVersion: apps/v1
kind: {{ ternary "StatefulSet" "Deployment" $stateful }}
metadata:
  name: {{ include "tempo.componentName" (dict "root" $ "component" $component) }}{{ with $zone }}-{{ . }}{{ end }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "tempo.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
spec:
  replicas: {{ $spec.replicas }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "tempo.selector" $ | nindent 6 }}
      app.kubernetes.io/component: {{ $component }}
      {{- with $zone }}
      orion.tracing/zone: {{ . }}
      {{- end }}
  {{- if $stateful }}
  serviceName: {{ include "tempo.componentName" (dict "root" $ "component" $component) }}
  # Ring members wait for each other, so one after the other would not save anything.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  {{- else if eq $component "compactor" }}
  strategy:
    # No surplus pod: two owners of one compaction job would do it twice.
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 0
      maxUnavailable: 1
  {{- end }}
  template:
    {{- include "tempo.podTemplate" (dict "root" $ "component" $component "spec" $spec "zone" $zone) | nindent 4 }}
  {{- with $spec.persistence }}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
        labels:
          {{- include "tempo.selector" $ | nindent 10 }}
          app.kubernetes.io/component: {{ $component }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .size }}
  {{- end }}
{{- end }}
{{- end }}
