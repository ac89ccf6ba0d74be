apiVersion: batch/v1
kind: CronJob
metadata:
  name: trace-probe
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "trace-probe.labels" . | nindent 4 }}
spec:
  schedule: {{ .Values.schedule | quote }}
  concurrencyPolicy: Forbid
  # A run that could not start in time is left out; the next one says as much.
  startingDeadlineSeconds: 120
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    metadata:
      labels:
        {{- include "trace-probe.labels" . | nindent 8 }}
    spec:
      # A probe that fails has found something, so it is not repeated.
      backoffLimit: 0
      activeDeadlineSeconds: {{ .Values.deadlineSeconds }}
      template:
        metadata:
          labels:
            {{- include "trace-probe.labels" . | nindent 12 }}
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          enableServiceLinks: false
          {{- with .Values.image.pullSecrets }}
          imagePullSecrets:
            {{- range . }}
            - name: {{ . }}
            {{- end }}
          {{- end }}
          securityContext:
            runAsNonRoot: true
            runAsUser: 10001
            runAsGroup: 10001
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: trace-probe
              image: {{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
              imagePullPolicy: IfNotPresent
              # By its name: images have it in different folders.
              command: [python3]
              args: [-I, /opt/trace-probe, /opt/trace-probe/settings.json]
              {{- with .Values.resources }}
              resources:
                {{- toYaml . | nindent 16 }}
              {{- end }}
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop:
                    - ALL
              volumeMounts:
                - name: program
                  mountPath: /opt/trace-probe
                  readOnly: true
          volumes:
            - name: program
              configMap:
                name: trace-probe
                items:
                  - key: settings.json
                    path: settings.json
                  {{- range $path, $text := .Values.program }}
                  - key: {{ include "trace-probe.key" $path }}
                    path: {{ $path }}
                  {{- end }}
