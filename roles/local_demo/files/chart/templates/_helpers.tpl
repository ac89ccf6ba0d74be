{{/* Labels that select the pods. Arguments: root, name. They are immutable, so nothing may be added later.
There is no app.kubernetes.io/instance: it would be the same for all services, and some read a service's name from it. */}}
{{- define "demo.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: shop
{{- end }}

{{/* The image to run: the digest decides where there is one. Argument: the values of image. */}}
{{- define "demo.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A tag as the value of a label: at most 63 characters, a letter or digit at both ends. */}}
{{- define "demo.version" -}}
{{- regexReplaceAll "^[_.-]+|[_.-]+$" (trunc 63 .) "" }}
{{- end }}

{{/* Labels of every object. Arguments: root, name, values (of the image's section). */}}
{{- define "demo.labels" -}}
{{ include "demo.selector" . }}
app.kubernetes.io/version: {{ include "demo.version" .values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What every pod has. Argument: root. */}}
{{- define "demo.pod" -}}
automountServiceAccountToken: false
# KAFKA_PORT and the like would be read as settings.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "demo.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Probes. Arguments: handler (a probe's httpGet or tcpSocket), startSeconds. */}}
{{- define "demo.probes" -}}
startupProbe:
  {{- toYaml .handler | nindent 2 }}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: {{ .startSeconds }}
readinessProbe:
  {{- toYaml .handler | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  {{- toYaml .handler | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
