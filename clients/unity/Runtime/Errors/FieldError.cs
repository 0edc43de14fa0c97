using System;
using System.Collections.Generic;
using System.Globalization;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>What is wrong with one field of a request.</summary>
    public sealed class FieldError
    {
        internal FieldError(JObject json)
        {
            var loc = new List<string>();
            foreach (JToken part in json["loc"] as JArray ?? new JArray())
            {
                loc.Add(Convert.ToString((part as JValue)?.Value, CultureInfo.InvariantCulture));
            }
            Loc = loc;
            Msg = Problem.TextOrNull(json, "msg");
            Type = Problem.TextOrNull(json, "type");
        }

        /// <summary>Where the field is, for example <c>body</c>, <c>attributes</c>, <c>level</c>.</summary>
        public IReadOnlyList<string> Loc { get; }

        /// <summary>What is wrong, for people.</summary>
        public string Msg { get; }

        /// <summary>What is wrong, for programs.</summary>
        public string Type { get; }
    }
}
