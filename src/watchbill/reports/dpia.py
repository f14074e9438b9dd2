"""Draft of the impact assessment for monitoring staff (PIPL 55-56): lawful and needed, impact and risk, protective measures, who decided."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """PIPL 55, 56; kept for at least three years."""

    profile = Profile(
        id="dpia",
        en="Personal information protection impact assessment: monitoring of staff's look-ups",
        zh="个人信息保护影响评估：对员工查询行为的监测",
        to="to_file",
        intro_en="Personal information of staff is processed to protect that of customers. Articles 55 and 56 of the Personal Information Protection Law ask for an assessment before; the report and the record of processing are kept for at least three years.",
        intro_zh="为保护用户个人信息，需要处理员工的个人信息。根据《个人信息保护法》第五十五条、第五十六条，应当事前进行影响评估；评估报告和处理情况记录至少保存三年。",
        about="firm",
        fields=(
            Field(
                "processor", "PIPL 55", "个人信息保护法第五十五条", "Processor", "处理者", source="settings", of="name"
            ),
            Field(
                "processing",
                "PIPL 56(1)",
                "个人信息保护法第五十六条第一项",
                "What is processed, and what for",
                "处理目的、方式和范围",
                source="ledger",
                of="monitored",
            ),
            Field(
                "legal_basis",
                "PIPL 13, 56(1)",
                "个人信息保护法第十三条、第五十六条第一项",
                "Legal basis, and why it is needed",
                "合法性基础和必要性",
            ),
            Field(
                "automated",
                "PIPL 24, 55(2)",
                "个人信息保护法第二十四条、第五十五条第二项",
                "Automated measures",
                "自动化措施",
                source="ledger",
                of="in_force",
            ),
            Field(
                "staff_impact",
                "PIPL 56(2)",
                "个人信息保护法第五十六条第二项",
                "Impact on staff and risks",
                "对员工权益的影响及安全风险",
            ),
            Field(
                "running",
                "PIPL 56(2)",
                "个人信息保护法第五十六条第二项",
                "How it has run so far",
                "实际运行情况",
                source="ledger",
                of="control",
            ),
            Field(
                "safeguards",
                "PIPL 56(3)",
                "个人信息保护法第五十六条第三项",
                "Protective measures, and whether they fit the risk",
                "保护措施是否合法、有效并与风险程度相适应",
            ),
            Field(
                "roles",
                "PIPL 20, 21",
                "个人信息保护法第二十条、第二十一条",
                "Roles of headquarters and franchise outlets",
                "总部与加盟网点的角色",
                choices=("joint", "entrusted", "separate"),
            ),
            Field(
                "roles_text",
                "PIPL 20, 21",
                "个人信息保护法第二十条、第二十一条",
                "What was agreed between them",
                "双方约定的内容",
                source="settings",
                of="franchise_roles",
            ),
            Field(
                "retention",
                "PIPL 19, 56",
                "个人信息保护法第十九条、第五十六条",
                "How long staff's data are kept, and why",
                "员工信息的保存期限及理由",
            ),
            Field("consulted", "Labour contract law 4", "劳动合同法第四条", "Who was consulted", "征求意见情况"),
            Field("decision", "PIPL 55", "个人信息保护法第五十五条", "Conclusion", "评估结论"),
        ),
    )
    text_en, text_zh = profile.en, profile.zh
