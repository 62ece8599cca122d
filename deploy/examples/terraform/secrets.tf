# The secret that authenticates to the device management. Its value is not here, because it would be in Terraform's state: set it
# with `aws secretsmanager put-secret-value`.

variable "mdm_provider" {
  description = "jamf, intune or kandji; none for no device management."
  type        = string
  default     = "none"
}

variable "mdm_base_url" {
  type    = string
  default = ""
}

locals {
  asks_mdm = var.mdm_provider != "none"
  # No empty values: the function would not start.
  device_settings = local.asks_mdm ? merge(
    {
      SENTINEL_MDM_PROVIDER   = var.mdm_provider
      SENTINEL_REQUIRE_DEVICE = "true"
      MDM_SECRET_ARN          = aws_secretsmanager_secret.mdm[0].arn
    },
    var.mdm_base_url == "" ? {} : { SENTINEL_MDM_BASE_URL = var.mdm_base_url },
  ) : {}
}

resource "aws_secretsmanager_secret" "mdm" {
  count       = local.asks_mdm ? 1 : 0
  name        = "${var.function_name}/mdm"
  description = "With which ${var.function_name} asks the device management."
}

resource "aws_iam_role_policy" "read_mdm_secret" {
  count = local.asks_mdm ? 1 : 0
  name  = "read-mdm-secret"
  role  = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadMdmSecret"
      Effect    = "Allow"
      Action    = "secretsmanager:GetSecretValue"
      Resource  = aws_secretsmanager_secret.mdm[0].arn
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.source_arns } }
    }]
  })
}
