{{- $values := .Values.victorialogs }}
{{- $self := dict "root" . "name" "victorialogs" }}
{{- if $values.enabled }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: victorialogs
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  replicas: 1
  # The store takes a lock on its folder.
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "backends.labels" $self | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext:
        {{- include "backends.podSecurity" 10001 | nindent 8 }}
      containers:
        - name: victorialogs
          image: {{ include "backends.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/victoria-logs-prod]
          args:
            - -httpListenAddr=:9428
            - -storageDataPath=/var/lib/victorialogs
            - -retentionPeriod={{ $values.retention }}
            # Before the volume is full, the oldest day is deleted; the rest is for merges.
            - -retention.maxDiskSpaceUsageBytes={{ include "backends.mostOf" $values.storage.size }}
            - -loggerFormat=json
          env:
            - name: GOMEMLIMIT
              value: {{ include "backends.goMemLimit" $values.resources.limits.memory }}
          ports:
            - name: http
              containerPort: 9428
          startupProbe:
            httpGet: &probe
              path: /health
              port: http
            periodSeconds: 1
            failureThreshold: 120
          readinessProbe:
            httpGet: *probe
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            httpGet: *probe
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "backends.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: /var/lib/victorialogs
      volumes:
        - name: data
          persistentVolumeClaim:
            claimName: victorialogs
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: victorialogs
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $values.storage.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ $values.storage.size }}
---
apiVersion: v1
kind: Service
metadata:
  name: victorialogs
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: http
      port: 9428
      targetPort: http
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: victorialogs
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # Who writes and asks: gateways and Grafana in whatever namespace, and the API server's service proxy, which is no
    # pod. Writing and asking need the same port.
    - ports:
        - port: http
  egress: []
{{- end }}
