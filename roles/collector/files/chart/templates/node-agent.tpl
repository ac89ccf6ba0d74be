{{- with .Values.nodeAgent }}
{{- if .enabled }}
{{- $config := toYaml .config }}
# A namespace of its own: hostPath is a volume that neither "restricted" nor "baseline" allows.
# https://kubernetes.io/docs/concepts/security/pod-security-standards/
apiVersion: v1
kind: Namespace
metadata:
  name: {{ .namespace }}
  labels:
    {{- include "otel-collector.labels" (list $ "node-agent") | nindent 4 }}
    pod-security.kubernetes.io/enforce: privileged
  # It stays, as the platform's own does: with it, the Roles of the account that uninstalls the release would go before
  # the rest of the release has gone.
  annotations:
    helm.sh/resource-policy: keep
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: otel-node-agent
  namespace: {{ .namespace }}
  labels:
    {{- include "otel-collector.labels" (list $ "node-agent") | nindent 4 }}
data:
  collector.yaml: |
    {{- $config | nindent 4 }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: otel-node-agent
  namespace: {{ .namespace }}
  labels:
    {{- include "otel-collector.labels" (list $ "node-agent") | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "otel-collector.selector" (list $ "node-agent") | nindent 6 }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      # Nothing is missed meanwhile: the files are read from where the pod before has stopped.
      maxUnavailable: 25%
  template:
    metadata:
      labels:
        {{- with $.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "otel-collector.labels" (list $ "node-agent") | nindent 8 }}
      annotations:
        checksum/config: {{ $config | sha256sum }}
        {{- with $.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with $.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      # Every node has logs.
      tolerations:
        - operator: Exists
      # All that "restricted" asks for but two things: the log files can be read by root alone, and they are the node's.
      # Root without capabilities is the owner of files and no more.
      securityContext:
        runAsUser: 0
        runAsGroup: 0
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: otel-collector
          image: {{ include "otel-collector.image" $.Values.image }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          command: [/otelcol-contrib]
          args:
            - --config=/etc/otelcol/collector.yaml
          env:
            - name: MY_POD_IP
              valueFrom:
                fieldRef:
                  fieldPath: status.podIP
            - name: MY_POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            {{- with .goMemLimit }}
            - name: GOMEMLIMIT
              value: {{ . }}
            {{- end }}
          ports:
            - name: metrics
              containerPort: 8888
              protocol: TCP
            - name: health
              containerPort: 13133
              protocol: TCP
          startupProbe:
            httpGet: &probe
              path: /
              port: health
            periodSeconds: 1
            failureThreshold: 120
          readinessProbe:
            httpGet: *probe
            periodSeconds: 5
          livenessProbe:
            httpGet: *probe
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          {{- with .resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop:
                - ALL
          volumeMounts:
            - name: config
              mountPath: /etc/otelcol
              readOnly: true
            - name: logs
              mountPath: /var/log/pods
              readOnly: true
            - name: state
              mountPath: /var/lib/otelcol
      volumes:
        - name: config
          configMap:
            name: otel-node-agent
        - name: logs
          hostPath:
            path: /var/log/pods
            type: Directory
        # How far each file has been read: with an emptyDir, a new pod would miss lines.
        - name: state
          hostPath:
            path: /var/lib/otel-node-agent
            type: DirectoryOrCreate
{{- if $.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: otel-node-agent
  namespace: {{ .namespace }}
  labels:
    {{- include "otel-collector.labels" (list $ "node-agent") | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "otel-collector.selector" (list $ "node-agent") | nindent 6 }}
  policyTypes:
    - Ingress
  ingress:
    - ports:
        - port: metrics
          protocol: TCP
        - port: health
          protocol: TCP
{{- end }}
{{- end }}
{{- end }}
