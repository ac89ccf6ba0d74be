{{- range $name := .Values.components }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
data:
  message: {{ $.Values.message | quote }}
  component: {{ $name }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
spec:
  selector:
    app.kubernetes.io/name: bench
    app.kubernetes.io/component: {{ $name }}
  ports:
    - name: http
      port: 80
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
spec:
  replicas: 0
  selector:
    matchLabels: &labels
      app.kubernetes.io/name: bench
      app.kubernetes.io/component: {{ $name }}
  template:
    metadata:
      labels: *labels
      annotations:
        message: {{ $.Values.message | quote }}
    spec:
      serviceAccountName: {{ $.Release.Name }}-{{ $name }}
      containers:
        - name: component
          image: docker.io/library/component:1.0.0
          args: [-target={{ $name }}]
          ports:
            - {name: http, containerPort: 80}
          resources:
            requests: {cpu: 10m, memory: 16Mi}
            limits: {memory: 32Mi}
{{- end }}
