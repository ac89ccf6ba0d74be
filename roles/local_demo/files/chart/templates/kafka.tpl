{{- $values := .Values.kafka }}
{{- $self := dict "root" . "name" "kafka" "values" $values }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: kafka
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  replicas: 1
  # Two brokers with the same id and separate logs would both take clients.
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "demo.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "demo.labels" $self | nindent 8 }}
      {{- with .Values.imagesRevision }}
      annotations:
        checksum/images: {{ . | quote }}
      {{- end }}
    spec:
      {{- include "demo.pod" . | nindent 6 }}
      containers:
        - name: kafka
          image: {{ include "demo.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/opt/kafka/start]
          args:
            - --override
            - advertised.listeners=PLAINTEXT://kafka:9092
            # The log cleaner's buffer, 128 MiB by default
            - --override
            - log.cleaner.dedupe.buffer.size=4194304
            # What the volume can hold
            - --override
            - log.segment.bytes=16777216
            - --override
            - log.retention.bytes=67108864
          env:
            # Of the memory limit
            - name: KAFKA_HEAP_OPTS
              value: -XX:InitialRAMPercentage=12 -XX:MaxRAMPercentage=40
          ports:
            - name: kafka
              containerPort: 9092
          {{- include "demo.probes" (dict "handler" (dict "tcpSocket" (dict "port" "kafka")) "startSeconds" 180) | nindent 10 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "demo.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: /var/lib/kafka
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: data
          emptyDir:
            sizeLimit: 1Gi
        - name: tmp
          emptyDir:
            sizeLimit: 16Mi
---
apiVersion: v1
kind: Service
metadata:
  name: kafka
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  selector:
    {{- include "demo.selector" $self | nindent 4 }}
  ports:
    - name: kafka
      port: 9092
      targetPort: kafka
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: kafka
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "demo.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "demo.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # Clients of this namespace; Kafka asks for no credentials.
    - from:
        - podSelector: {}
      ports:
        - port: kafka
  egress: []
