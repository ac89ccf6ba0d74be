{{- $labels := dict "app.kubernetes.io/name" "instrumentation" "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/managed-by" .Release.Service "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version) }}
{{- range .Values.policies }}
---
apiVersion: admissionregistration.k8s.io/{{ $.Values.policyVersion }}
kind: MutatingAdmissionPolicy
metadata:
  name: {{ .name }}
  labels:
    {{- toYaml $labels | nindent 4 }}
spec:
  {{- toYaml .spec | nindent 2 }}
---
apiVersion: admissionregistration.k8s.io/{{ $.Values.policyVersion }}
kind: MutatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- toYaml $labels | nindent 4 }}
spec:
  policyName: {{ .name }}
{{- end }}
